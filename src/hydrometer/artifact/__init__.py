"""The file format of compressed sets, its card, and the foreign formats around it."""
