"""The central act: what came in is understood, kept, told of and answered."""
