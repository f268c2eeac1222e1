"""Pages of one HTML file each, which need no network: the gates of a model, a model that writes in the browser."""
