"""The HTTP door: the stages of the stream for programs and people that do not speak Kafka.

``server``       the process: listen, load the model, answer, drain, end
``connections``  heads of requests, bounded
``app``          the ASGI application: all routes, health and metrics
``gate``         in front of every route: keys, rates, sizes of bodies, headers, counts
``api``          ``/v1``: label, explain, model
``perspective``  ``/v1alpha1``: comments as Perspective's clients send them; ``perspective_request`` reads them,
                 ``perspective_discovery`` tells clients of it
``docs_page``    ``/docs`` and ``/openapi.json``; ``shapes`` are what stands in it
``page/``        for people; ``page_opening`` puts it together from the settings
``labeller``     the stages behind one queue with deadlines: posts in, answers out
``admission``    how many posts and bytes may wait, and who is refused before memory grows
``answers``      what is said of a post: its labels, or why it has none
``posted``       a post that came over HTTP, in the place of a record
``opening``      the labeller put together from the settings
``keys``         API keys, and how fast each may ask
``door``         what the routes share
``waiting``      work that ends when its client goes away
``replies``      refusals as clients read them
``health``, ``totals``  what works, and what was answered
``errors``       what is refused, and what follows from it
"""
