"""Where an accuracy comes from: images, labels, augmentation or recipe, by a factorial experiment."""
