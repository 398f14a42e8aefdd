"""Methods that learn pixels until training on them resembles training on the real images."""
