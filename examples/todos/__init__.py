"""FusionAuth's documented example, done properly: a user's todos go when the user goes."""
