"""Anthropic's official client for Python."""

import unittest

import anthropic
from pydantic import BaseModel

from sluice import CALLED, SAID, THOUGHT, USAGE, WEATHER, anthropic_client, models


class Person(BaseModel):
    name: str


HELLO = [{"role": "user", "content": SAID}]


class Messages(unittest.TestCase):
    def setUp(self) -> None:
        self.client = anthropic_client()

    def test_text_and_usage(self) -> None:
        for model in models(USAGE):
            with self.subTest(model):
                answer = self.client.messages.create(model=model, messages=HELLO, max_tokens=100)
                self.assertEqual((answer.content[0].text, answer.stop_reason), (SAID, "end_turn"))
                used = answer.usage
                cached = (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)
                self.assertEqual((used.input_tokens + cached, used.output_tokens), (1000, 70))

    def test_stream(self) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
        for model in models("reason"):
            with self.subTest(model):
                ask = {"model": model, "messages": HELLO, "max_tokens": 2048, "thinking": thinking}
                with self.client.messages.stream(**ask) as stream:
                    self.assertEqual("".join(stream.text_stream), SAID)
                    answer = stream.get_final_message()
                # What the vendor signed may follow, for the client to hand back.
                self.assertEqual([block.type for block in answer.content][:2], ["thinking", "text"])
                self.assertEqual(answer.content[0].thinking, THOUGHT)

    def test_tools(self) -> None:
        tools = [{"name": "get_weather", "input_schema": WEATHER}]
        for model in models("tool"):
            with self.subTest(model):
                ask = {"model": model, "tools": tools, "max_tokens": 100}
                with self.client.messages.stream(messages=HELLO, **ask) as stream:
                    asked = stream.get_final_message()
                call = next(block for block in asked.content if block.type == "tool_use")
                self.assertEqual((call.name, call.input, asked.stop_reason), ("get_weather", CALLED, "tool_use"))
                result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
                turns = [
                    *HELLO,
                    {"role": "assistant", "content": asked.content},
                    {"role": "user", "content": [result]},
                ]
                done = self.client.messages.create(messages=turns, **ask)
                self.assertEqual(done.content[0].text, "sunny")

    def test_structured_output(self) -> None:
        for model in models("json"):
            with self.subTest(model):
                answer = self.client.messages.parse(
                    model=model, messages=HELLO, max_tokens=100, output_format=Person
                )
                self.assertEqual(answer.parsed_output, Person(name=SAID))

    def test_errors(self) -> None:
        ask = {"messages": HELLO, "max_tokens": 100}
        for model in models("status:429,retry_after=7"):
            with self.subTest(model), self.assertRaises(anthropic.RateLimitError) as raised:
                self.client.messages.create(model=model, **ask)
            self.assertEqual(raised.exception.response.headers["retry-after"], "7")
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.create(model="no-such-model", **ask)
        with self.assertRaises(anthropic.AuthenticationError):
            self.client.with_options(api_key="wrong").messages.create(model="ollama/echo", **ask)
        for model in models("error-event:after=3,delay=2ms"):
            with self.subTest(model), self.assertRaises(anthropic.APIError):
                turns = [{"role": "user", "content": SAID * 9}]
                with self.client.messages.stream(model=model, messages=turns, max_tokens=100) as stream:
                    stream.get_final_message()

    def test_counting(self) -> None:
        for model in models("echo"):
            with self.subTest(model):
                counted = self.client.messages.count_tokens(model=model, messages=HELLO)
                self.assertGreater(counted.input_tokens, 0)

    def test_models(self) -> None:
        self.assertIsInstance([model.id for model in self.client.models.list()], list)


if __name__ == "__main__":
    unittest.main()
