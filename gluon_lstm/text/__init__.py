"""From a file someone has to ids on disk: reading, cleaning, tokenizers, vocabulary, corpus."""
