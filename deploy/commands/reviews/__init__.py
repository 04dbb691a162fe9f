"""Commands about reviews: how well those who judge agree. What experts say, they say on the page."""
