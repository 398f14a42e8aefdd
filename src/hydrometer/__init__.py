"""Make compressed image datasets, and measure them so that the number belongs to the images."""
