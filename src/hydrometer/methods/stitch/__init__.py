"""Stitching: several real images, or parts of them, in the place of one."""
