"""Small texts that look like what the three apps write, and what people make of them."""

from random import Random

PROMPTS: dict[tuple[str, str], str] = {
    ("editor", "v3"): (
        "Complete the code at the cursor. Write the next statement and stop there. "
        "Use names that the open files define, and no others."
    ),
    ("editor", "v4"): (
        "Complete the code at the cursor. Write the whole block, as finished as you can make it. "
        "Use names that the open files define, or the library that fits best."
    ),
    ("support", "12"): (
        "You answer customers of a shop. Be friendly. Answer from the sources that you are given, and if they say "
        "nothing, from what you know."
    ),
    ("support", "13"): (
        "You answer customers of a shop. Be friendly and short. Answer from the sources that you are given, and if "
        "they say nothing, offer to ask a colleague."
    ),
}
"""What the apps tell the model, by app and version. The agent sends none."""
COMPLETIONS: dict[str, tuple[str, ...]] = {
    "python": (
        "return [row for row in rows if row.amount > threshold]",
        "with path.open(encoding='utf-8') as lines:\n    return [json.loads(line) for line in lines if line.strip()]",
        "if not response.ok:\n    raise UpstreamError(response.status_code, response.text[:200])",
        "total = sum(item.price * item.quantity for item in basket)\nreturn round(total, 2)",
        "logger.warning('retrying %s in %.1f s', url, delay_s)",
        "users = {user.id: user for user in session.scalars(select(User))}",
        "except KeyError as error:\n    raise ConfigError(f'{error} is missing from {path}') from None",
        "self._cache[key] = value\nself._order.move_to_end(key)\nif len(self._cache) > self.size:\n"
        "    self._order.popitem(last=False)",
    ),
    "typescript": (
        "const visible = items.filter((item) => item.score >= minimum);",
        "export async function load(id: string): Promise<Order> {\n  const reply = await fetch(`/orders/${id}`);\n"
        "  if (!reply.ok) throw new Error(reply.statusText);\n  return reply.json();\n}",
        "useEffect(() => {\n  const timer = setInterval(load, 5000);\n  return () => stop(timer);\n}, [load]);",
        "return <Button onClick={() => onSelect(row.id)} disabled={busy}>{row.title}</Button>;",
        "const byDay = new Map<string, number>();\nfor (const { day, count } of rows) byDay.set(day, count);",
    ),
    "go": (
        'if err != nil {\n\treturn nil, fmt.Errorf("open %s: %w", name, err)\n}',
        "defer func() { _ = rows.Close() }()",
        "for _, item := range items {\n\tif item.Due.Before(now) {\n\t\toverdue = append(overdue, item)\n\t}\n}",
        "ctx, cancel := context.WithTimeout(ctx, 5*time.Second)\ndefer cancel()",
        "mu.Lock()\ndefer mu.Unlock()\ncounts[key]++",
    ),
    "rust": (
        "let total: u64 = entries.iter().map(|entry| entry.size).sum();",
        "match parser.next() {\n    Some(Token::Number(n)) => Ok(n),\n    other => Err(Error::Unexpected(other)),\n}",
        "#[derive(Debug, Clone, PartialEq)]\npub struct Window {\n    pub start: i64,\n    pub count: u32,\n}",
        'let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;',
    ),
    "sql": (
        "SELECT customer_id, count(*) AS orders\nFROM orders\nWHERE placed_at >= today() - 30\nGROUP BY customer_id",
        "LEFT JOIN payments USING (order_id)\nWHERE payments.order_id IS NULL",
        "CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC);",
    ),
}
PREFIXES = (
    "def total(",
    "function render(",
    "func (s *Store) Get(",
    "impl Window {",
    "SELECT ",
    "class Order:",
    "# TODO ",
)

QUESTIONS: tuple[tuple[str, str], ...] = (
    (
        "Where is my order? It should have come on Monday.",
        "I am sorry for the delay. Your parcel left our warehouse on Friday and is with the carrier now. "
        "It should reach you within two working days; here is the tracking page.",
    ),
    (
        "How do I change the address of an order?",
        "You can change the address until the parcel is packed: open Orders, choose the order, then Edit address. "
        "Once it is packed we can only redirect it at the carrier.",
    ),
    (
        "I was charged twice.",
        "One of the two lines is a reservation, which your bank releases within five working days. "
        "If it is still there next week, send us the statement and we refund it the same day.",
    ),
    (
        "The app signs me out every day.",
        "That happens when the system clears the app's storage. Please update to the latest version, "
        "then switch on Stay signed in under Settings, Security.",
    ),
    (
        "Can I return shoes that I have worn once?",
        "Yes, within 30 days, as long as they can be sold again. Print the label under Returns and "
        "bring the parcel to any drop-off point; the refund follows within a week.",
    ),
    (
        "Do you deliver to Réunion?",
        "We do. Delivery takes eight to twelve days and costs 14.90 €; customs are included in the price you see.",
    ),
    (
        "How can I cancel my subscription?",
        "Open Account, Subscription, Cancel. It stays active until the end of the period that you have paid for, "
        "and nothing is charged after that.",
    ),
    (
        "My discount code does not work.",
        "The code is valid for orders above 40 € and cannot be combined with sale items. "
        "If your basket fits, tell me the code and I will apply it for you.",
    ),
)
TASKS = (
    "Fix the flaky test in the retry module",
    "Add pagination to the orders endpoint",
    "Rename Customer.mail to Customer.email everywhere",
    "Replace the hand-written parser by the library's",
    "Raise the timeout of the export job and log its progress",
    "Remove the feature switch for the old checkout",
)
VOTE_COMMENTS = {
    -1: ("That is not how returns work any more.", "Too long.", "Did not answer the question.", "Wrong price."),
    1: ("Perfect.", "Exactly what I needed.", "Clear and short."),
}
FLAG_COMMENTS = {
    "hallucination": "There is no such page.",
    "outdated": "We changed this in spring.",
    "tone": "Too cheerful for a complaint.",
    "insecure": "Builds SQL from a string.",
    "wrong_api": "This method does not exist.",
}
_WORDS = ("value", "result", "limit", "item", "please", "today", "batch", "label", "source", "again", "index", "when")


def touched(text: str, rng: Random, *, heavily: bool) -> str:
    """The text as somebody changes it: a word or two, or (heavily) so much that less than two thirds are kept."""
    pieces = text.split(" ")
    if len(pieces) < 3:
        return f"{rng.choice(_WORDS)}_{rng.choice(_WORDS)}" if heavily else f"{text};"
    if not heavily:
        pieces[rng.randrange(len(pieces))] = rng.choice(_WORDS)
        return " ".join(pieces)
    kept = pieces[: max(1, len(pieces) * rng.randint(20, 45) // 100)]
    return " ".join([*kept, *rng.choices(_WORDS, k=rng.randint(2, 5))])
