"""The delivery-report receiver: the service behind the callback URL that SMS platforms call."""
