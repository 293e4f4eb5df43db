"""Pages for people on the ops listener: rendered here, without a build step and without a script from elsewhere.

A handler asks `receiver.reading` for rows and renders a template; a route is one line in `routes.ROUTES`, a place in
the menu one in `routes.MENU`. Every page works without JavaScript, but for the parts that move.
"""
