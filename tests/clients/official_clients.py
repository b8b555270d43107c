#!/usr/bin/env python3
"""The official Python clients against fovea serve, unmodified: only address and key are set.

    official_clients.py FOVEA MODEL

Exits with 77, which ctest takes as skipped, where the clients (build/clients, by make) or the model are not installed.
"""
import os
import re
import subprocess
import sys
import time

try:
    import anthropic
    import jsonschema  # noqa: F401, of the modules below
    import ollama
    import openai
except ImportError:
    sys.exit(77)

import responses
import structured_outputs
import tools
from checks import KEY, QUESTION, check, fails


class Server:
    """The program, at a port of its own."""

    def __init__(self, program, model):
        self.process = subprocess.Popen([program, "serve", "-m", model, "--port", "0", "-c", "1024", "--sequences", "10", "--name", "chat"],
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, "FOVEA_API_KEYS": KEY})
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"at (http://127\.0\.0\.1:\d+)$", line.strip())
            if found:
                self.url = found.group(1)
                return
        sys.exit("the server did not start:\n" + "".join(self.log))

    def end(self):
        self.process.terminate()
        _, rest = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, rest
        return rest


def openai_chat(url):
    client = openai.OpenAI(base_url=url + "/v1", api_key=KEY)
    check([model.id for model in client.models.list()] == ["chat"])
    ask = lambda **more: client.chat.completions.create(model="chat", messages=QUESTION, **{"temperature": 0, "max_tokens": 40, **more})
    whole = ask()
    text = whole.choices[0].message.content
    check(len(text) > 20 and whole.usage.completion_tokens <= 40, text)
    pieces = list(ask(stream=True, stream_options={"include_usage": True}))
    check("".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == text)
    check(pieces[-1].usage.prompt_tokens_details.cached_tokens == pieces[-1].usage.prompt_tokens - 1, pieces[-1].usage)
    two = ask(n=2, temperature=1, seed=3)
    check(len(two.choices) == 2 and two.choices[0].message.content != two.choices[1].message.content)
    check(ask(n=2, temperature=1, seed=3).choices[1].message.content == two.choices[1].message.content)
    stop = text[10:14]
    stopped = ask(stop=[stop])
    check(stopped.choices[0].finish_reason == "stop" and stopped.choices[0].message.content == text[:text.find(stop)])
    logprobs = ask(logprobs=True, top_logprobs=3).choices[0].logprobs.content
    check(b"".join(bytes(t.bytes) for t in logprobs).decode() == text)
    check(all(len(t.top_logprobs) == 3 and t.top_logprobs[0].token == t.token for t in logprobs))
    check(fails(openai.BadRequestError, lambda: ask(temperature=3)).param == "temperature")
    check(fails(openai.NotFoundError, lambda: client.chat.completions.create(model="x", messages=QUESTION)).code == "model_not_found")
    check(fails(openai.BadRequestError, lambda: ask(max_tokens=5000)).code == "context_length_exceeded")
    fails(openai.AuthenticationError, lambda: openai.OpenAI(base_url=url + "/v1", api_key="wrong").models.list())
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=QUESTION, max_tokens=1)
    check("reason=none" in raw.headers["x-fovea-cache"], raw.headers)
    completion = client.completions.create(model="chat", prompt="Once upon a time", max_tokens=10, temperature=0)
    check(completion.choices[0].text and completion.usage.completion_tokens == 10)
    streamed = client.completions.create(model="chat", prompt="Once upon a time", max_tokens=10, temperature=0, stream=True)
    check("".join(chunk.choices[0].text for chunk in streamed) == completion.choices[0].text)
    return text


def ollama_chat(url, text):
    client = ollama.Client(host=url, headers={"Authorization": "Bearer " + KEY})
    greedy = {"temperature": 0, "num_predict": 40, "repeat_penalty": 1.0}
    whole = client.chat(model="chat", messages=QUESTION, options=greedy)
    check(whole.message.content == text, whole)
    check(whole.done_reason in ("stop", "length") and whole.eval_count <= 40)
    pieces = list(client.chat(model="chat", messages=QUESTION, options=greedy, stream=True))
    check("".join(p.message.content for p in pieces) == text and pieces[-1].done)
    generated = client.generate(model="chat", prompt=QUESTION[0]["content"], options=greedy)
    check(generated.response == text, generated)
    stop = text[10:14]
    check(client.chat(model="chat", messages=QUESTION, options={**greedy, "stop": [stop]}).message.content == text[:text.find(stop)])
    check([model.model for model in client.list().models] == ["chat"])
    check([model.model for model in client.ps().models] == ["chat"])
    check(client.show("chat").details.family)
    check(fails(ollama.ResponseError, lambda: client.chat(model="x", messages=QUESTION)).status_code == 404)


def anthropic_messages(url, text):
    client = anthropic.Anthropic(base_url=url, api_key=KEY)
    ask = lambda **more: client.messages.create(model="chat", messages=QUESTION, **{"max_tokens": 40, **more})
    greedy = {"extra_body": {"temperature": 0}}
    whole = ask(**greedy)
    check(whole.content[0].text == text and whole.stop_reason in ("end_turn", "max_tokens"), whole)
    check(whole.usage.cache_read_input_tokens > 0, whole.usage)
    with client.messages.stream(model="chat", messages=QUESTION, max_tokens=40, **greedy) as stream:
        check("".join(stream.text_stream) == text)
        check(stream.get_final_message().usage.output_tokens == whole.usage.output_tokens)
    stop = text[10:14]
    stopped = ask(stop_sequences=[stop], **greedy)
    check(stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == stop)
    check(stopped.content[0].text == text[:text.find(stop)])
    counted = client.messages.count_tokens(model="chat", messages=QUESTION, system="Be brief.")
    check(counted.input_tokens > whole.usage.input_tokens)
    check("temperature" in str(fails(anthropic.BadRequestError, lambda: ask(extra_body={"temperature": 2}))))
    fails(anthropic.NotFoundError, lambda: client.messages.create(model="x", messages=QUESTION, max_tokens=1))
    fails(anthropic.AuthenticationError, lambda: anthropic.Anthropic(base_url=url, api_key="wrong").messages.create(
        model="chat", messages=QUESTION, max_tokens=1))


def main():
    program, model = sys.argv[1:]
    listed = subprocess.run([program, "models", "list"], capture_output=True, text=True, check=True).stdout
    if not os.path.exists(model) and not re.search(rf"^{re.escape(model)} .* yes  ", listed, re.M):
        sys.exit(77)
    begin = time.time()
    server = Server(program, model)
    try:
        text = openai_chat(server.url)
        ollama_chat(server.url, text)
        anthropic_messages(server.url, text)
        structured_outputs.run(server.url, text)
        tools.run(server.url)
        responses.run(server.url, text)
    except BaseException:
        server.process.kill()
        raise
    log = server.end()
    check("rivers" not in log)
    print(f"openai {openai.__version__}, ollama, anthropic {anthropic.__version__}: {time.time() - begin:.0f} s")


if __name__ == "__main__":
    main()
