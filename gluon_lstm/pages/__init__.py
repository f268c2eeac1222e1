"""Pages of one HTML file each, which need no network: a model that writes in the browser."""
