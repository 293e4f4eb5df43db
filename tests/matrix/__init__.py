"""The matrix (`make test-matrix`): the tests on every Python that we name, and on another PostgreSQL."""
