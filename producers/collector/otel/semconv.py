"""Which attribute of which convention fills which field of a generation: tables, the current name first.

gen_ai.*        OpenTelemetry's GenAI conventions, of their own repository, and of 1.27 to 1.36 before that
llm.*, traceloop.*      OpenLLMetry
llm.*, openinference.*  OpenInference (Arize Phoenix)
ai.*            the Vercel AI SDK
langfuse.*      Langfuse's SDKs
copilot_chat.*  VS Code's Copilot Chat
keeprate.*      what no convention has a name for: `keeprate.<field>` fills any field of the tables below
"""

from collections.abc import Mapping
from typing import Any, Final

# Text is cut to the length of a name, counts are whole numbers.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "model": (
        "gen_ai.response.model",
        "gen_ai.request.model",
        "llm.model_name",
        "llm.response.model",
        "llm.request.model",
        "ai.model.id",
        "langfuse.observation.model.name",
    ),
    "prompt_name": ("gen_ai.prompt.name", "langfuse.observation.prompt.name", "traceloop.prompt.key"),
    "prompt_version": (
        "gen_ai.prompt.version",
        "langfuse.observation.prompt.version",
        "traceloop.prompt.version",
        "llm.prompt_template.version",
    ),
    "session": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "copilot_chat.session_id",
    ),
    "external_id": ("gen_ai.response.id", "ai.response.id", "llm.response.id"),
    "error_type": ("error.type", "exception.type"),
    "surface": ("copilot_chat.location",),
    "language": ("language_id",),
    "trigger": (),
    "context_strategy": (),
    "experiment": ("langfuse.experiment.name",),
    "variant": (),
}
COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.promptTokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.completionTokens",
    ),
    "choice_count": ("gen_ai.request.choice.count", "gen_ai.request.n"),
}
COSTS: Final = ("keeprate.cost_usd", "gen_ai.usage.cost", "llm.usage.cost", "llm.cost.total")
FIRST_TOKEN_S: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FIRST_TOKEN_MS: Final = (
    "keeprate.time_to_first_token_ms",
    "copilot_chat.time_to_first_token",
    "ai.response.msToFirstChunk",
)

OPERATIONS: Final = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind", "traceloop.span.kind")
# A call of a model, or a step of an agent; what is in neither set made no output that a user could keep.
MODEL_CALLS: Final = {
    "chat": "chat",
    "text_completion": "text_completion",
    "completion": "text_completion",
    "generate_content": "generate_content",
    "llm": "chat",
}
STEPS: Final = {
    "invoke_agent": "invoke_agent",
    "invoke_workflow": "invoke_workflow",
    "plan": "plan",
    "execute_tool": "execute_tool",
    "agent": "invoke_agent",
    "workflow": "invoke_workflow",
    "task": "invoke_workflow",
    "chain": "invoke_workflow",
    "tool": "execute_tool",
}
# Present on a span that calls a model, whatever else its instrumentation left out.
MODEL_MARKS: Final = ("gen_ai.system", "gen_ai.provider.name", "gen_ai.request.model", "llm.model_name")
STEP_NAMES: Final = (
    "keeprate.step",
    "gen_ai.tool.name",
    "gen_ai.agent.name",
    "gen_ai.workflow.name",
    "tool.name",
    "agent.name",
    "traceloop.entity.name",
)
# A span with one of these runs within an agent, even when the agent's own span has not arrived.
AGENT_MARKS: Final = ("gen_ai.agent.name", "gen_ai.agent.id", "gen_ai.workflow.name", "gen_ai.tool.call.id")

USER_HASHES: Final = ("user.hash", "keeprate.user")
USERS: Final = (
    "user.id",
    "enduser.id",
    "enduser.pseudo.id",
    "gen_ai.user",
    "llm.user",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
)
ENVIRONMENTS: Final = (
    "keeprate.environment",
    "deployment.environment.name",
    "deployment.environment",
    "langfuse.environment",
)

FINISH_REASONS: Final = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "llm.response.finish_reason",
    "ai.response.finishReason",
)
FILTERED: Final = ("content_filter", "content_filtered", "safety", "recitation", "refusal", "guardrail_intervened")
CANCELLATIONS: Final = ("cancelled", "canceled", "aborterror", "cancellederror", "generatorexit")

INPUTS: Final = (
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "ai.prompt.messages",
    "langfuse.observation.input",
    "traceloop.entity.input",
    "gen_ai.tool.call.arguments",
    "input.value",
)
OUTPUTS: Final = (
    "gen_ai.output.messages",
    "gen_ai.completion",
    "ai.response.text",
    "langfuse.observation.output",
    "traceloop.entity.output",
    "gen_ai.tool.call.result",
    "output.value",
)
SYSTEM_INSTRUCTIONS: Final = ("gen_ai.system_instructions",)
TOOL_DEFINITIONS: Final = ("gen_ai.tool.definitions", "llm.tools", "ai.prompt.tools")
CONTEXT_SOURCES: Final = ("keeprate.context_sources", "gen_ai.data_source.id")
PROMPT_VARIABLES: Final = (
    "keeprate.prompt_variables",
    "llm.prompt_template.variables",
    "traceloop.prompt.template_variables",
)
PARAMETERS: Final = ("llm.invocation_parameters", "langfuse.observation.model.parameters")
PARAMETER_PREFIX: Final = "gen_ai.request."
NOT_PARAMETERS: Final = ("model", "choice.count", "n")

# Messages spread over attributes, as "<prefix><index>.<part>": prefix, and what stands before each part's name.
FLAT_INPUTS: Final = (("gen_ai.prompt.", ""), ("llm.input_messages.", "message."))
FLAT_OUTPUTS: Final = (("gen_ai.completion.", ""), ("llm.output_messages.", "message."))
FLAT_TOOLS: Final = (("llm.request.functions.", "name"), ("gen_ai.tool.definitions.", "name"))

# Messages as events of a span, or as log records: the role that the event's name implies (conventions up to 1.36).
MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
CHOICE_EVENT: Final = "gen_ai.choice"
CONTENT_EVENTS: Final = {
    "gen_ai.content.prompt": ("gen_ai.prompt", "input"),
    "gen_ai.content.completion": ("gen_ai.completion", "output"),
}
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"


def first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the named attributes that is there and not empty, or None."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None
