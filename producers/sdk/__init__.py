"""The SDK: what an app holds and says. From a domain's verb to the bytes of an event; `sending` takes it from there.

client      Keeprate, which an app opens once
generation  the handle of one suggestion; `calls` and `turns` wrap calls of models, `requests` say once for whom
tracking    looks at accepted texts again at each horizon; `journal` keeps what is still to come
content     what of texts leaves the process; `fields`, `responses`, `plain` are what an app may say
stamping    to the bytes of a record; `refusals` counts what could not be taken
lifetime    clients end with the process
"""
