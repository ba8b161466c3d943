"""What is similar to what: neighbours of pictures, near duplicates, and a page that shows them."""
