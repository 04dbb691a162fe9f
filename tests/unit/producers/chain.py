"""A chain of LangChain's. Apart, because its package is large, and all processes that test collect every file."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate


class Model(BaseChatModel):
    """A chat model of LangChain's with nothing behind it."""

    @property
    def _llm_type(self) -> str:
        return "test"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if messages[-1].content == "fail":
            raise RuntimeError("no such model")
        usage = {"input_tokens": 12, "output_tokens": 4, "total_tokens": 16}
        called = [{"name": "look_up", "args": {"q": 1}, "id": "t1"}]
        said: Any = {"usage_metadata": usage, "tool_calls": called, "response_metadata": {"finish_reason": "stop"}}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("So.", **said))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        for text in ("Like", " this."):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        for text in ("Like", " this."):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))


chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")]) | Model()
