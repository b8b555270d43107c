"""What the tests of the clients share."""

KEY = "a key of the tests"
QUESTION = [{"role": "user", "content": "Name three rivers of Europe."}]


def check(condition, *shown):
    if not condition:
        raise AssertionError(" ".join(map(str, shown)))


def fails(kind, action):
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")
