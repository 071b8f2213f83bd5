"""FusionAuth's documented example: a user's todos are deleted with the user."""
