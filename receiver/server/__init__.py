"""A hardened HTTP server on aiohttp's protocol. It knows no store and no platform."""
