"""Other ways to get fc7 of photographs, each as a competent user would write it."""
