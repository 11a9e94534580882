"""What providers and the bank say was paid out, beside what we believe we sold."""
