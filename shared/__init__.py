"""What the door and the back room must agree on."""
