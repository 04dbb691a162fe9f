"""Small texts that look like what the three apps write, and what people make of them."""

from dataclasses import dataclass
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

COMPLETIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "python": (
        (
            "def above(rows: list[Row], threshold: float) -> list[Row]:\n    ",
            "return [row for row in rows if row.amount > threshold]",
        ),
        (
            "def read_lines(path: Path) -> list[dict[str, Any]]:\n    ",
            "with path.open(encoding='utf-8') as lines:\n"
            "    return [json.loads(line) for line in lines if line.strip()]",
        ),
        (
            "response = client.get(url, timeout=10)\n",
            "if not response.ok:\n    raise UpstreamError(response.status_code, response.text[:200])",
        ),
        (
            "def total(basket: list[Item]) -> float:\n    ",
            "total = sum(item.price * item.quantity for item in basket)\nreturn round(total, 2)",
        ),
        (
            "for attempt in range(retries):\n    delay_s = 2**attempt\n    ",
            "logger.warning('retrying %s in %.1f s', url, delay_s)",
        ),
        (
            "with Session(engine) as session:\n    ",
            "users = {user.id: user for user in session.scalars(select(User))}",
        ),
        (
            'try:\n    limit = int(settings["limit"])\n',
            "except KeyError as error:\n    raise ConfigError(f'{error} is missing from {path}') from None",
        ),
        (
            "def put(self, key: str, value: bytes) -> None:\n    ",
            "self._cache[key] = value\nself._order.move_to_end(key)\nif len(self._cache) > self.size:\n"
            "    self._order.popitem(last=False)",
        ),
    ),
    "typescript": (
        (
            "function render(items: Item[], minimum: number) {\n  ",
            "const visible = items.filter((item) => item.score >= minimum);",
        ),
        (
            'import type { Order } from "./order";\n\n',
            "export async function load(id: string): Promise<Order> {\n  const reply = await fetch(`/orders/${id}`);\n"
            "  if (!reply.ok) throw new Error(reply.statusText);\n  return reply.json();\n}",
        ),
        (
            "export function Orders() {\n  const load = useCallback(refresh, []);\n  ",
            "useEffect(() => {\n  const timer = setInterval(load, 5000);\n  return () => stop(timer);\n}, [load]);",
        ),
        (
            "function Choice({ row, busy, onSelect }: Props) {\n  ",
            "return <Button onClick={() => onSelect(row.id)} disabled={busy}>{row.title}</Button>;",
        ),
        (
            "export function perDay(rows: Row[]) {\n  ",
            "const byDay = new Map<string, number>();\nfor (const { day, count } of rows) byDay.set(day, count);",
        ),
    ),
    "go": (
        (
            "func Open(name string) (*os.File, error) {\n\tfile, err := os.Open(name)\n\t",
            'if err != nil {\n\treturn nil, fmt.Errorf("open %s: %w", name, err)\n}',
        ),
        (
            "rows, err := db.QueryContext(ctx, query)\nif err != nil {\n\treturn err\n}\n",
            "defer func() { _ = rows.Close() }()",
        ),
        (
            "func Overdue(items []Item, now time.Time) []Item {\n\tvar overdue []Item\n\t",
            "for _, item := range items {\n\tif item.Due.Before(now) {\n\t\toverdue = append(overdue, item)\n\t}\n}",
        ),
        (
            "func (s *Store) Get(ctx context.Context, key string) (string, error) {\n\t",
            "ctx, cancel := context.WithTimeout(ctx, 5*time.Second)\ndefer cancel()",
        ),
        (
            "func (c *Counter) Add(key string) {\n\t",
            "mu.Lock()\ndefer mu.Unlock()\ncounts[key]++",
        ),
    ),
    "rust": (
        (
            "fn size_of(entries: &[Entry]) -> u64 {\n    ",
            "let total: u64 = entries.iter().map(|entry| entry.size).sum();",
        ),
        (
            "fn number(parser: &mut Parser) -> Result<i64, Error> {\n    ",
            "match parser.next() {\n    Some(Token::Number(n)) => Ok(n),\n"
            "    other => Err(Error::Unexpected(other)),\n}",
        ),
        (
            "/// A span of time and how often something happened in it.\n",
            "#[derive(Debug, Clone, PartialEq)]\npub struct Window {\n    pub start: i64,\n    pub count: u32,\n}",
        ),
        (
            "pub fn load(path: &Path) -> anyhow::Result<Config> {\n    ",
            'let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;',
        ),
    ),
    "sql": (
        (
            "-- Orders of each customer in the last 30 days.\n",
            "SELECT customer_id, count(*) AS orders\nFROM orders\n"
            "WHERE placed_at >= today() - 30\nGROUP BY customer_id",
        ),
        (
            "-- Orders that nobody has paid.\nSELECT orders.order_id\nFROM orders\n",
            "LEFT JOIN payments USING (order_id)\nWHERE payments.order_id IS NULL",
        ),
        (
            "-- The newest orders of a customer come first.\n",
            "CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC);",
        ),
    ),
}
"""By language: what stands before the cursor, and what the model makes of it."""
EXTENSIONS = {"python": "py", "typescript": "ts", "go": "go", "rust": "rs", "sql": "sql"}
MODULES = ("orders", "billing", "search", "reports", "accounts", "exports", "catalogue")
"""The files in which people write it."""


@dataclass(frozen=True)
class Enquiry:
    """A question, the model's answer, and what a person makes of it before it is sent: a little, or most of it."""

    question: str
    answer: str
    lightly: tuple[str, ...]
    heavily: tuple[str, ...]


QUESTIONS: tuple[Enquiry, ...] = (
    Enquiry(
        "Where is my order? It should have come on Monday.",
        "I am sorry for the delay. Your parcel left our warehouse on Friday and is with the carrier now. "
        "It should reach you within two working days; here is the tracking page.",
        (
            "I am sorry for the delay. Your parcel left our warehouse on Saturday and is with the carrier now. "
            "It should reach you within three working days; here is the tracking page.",
            "I am sorry for the delay. Your parcel left our warehouse on Friday and is with the carrier now. "
            "It should reach you by Thursday; here is the tracking page.",
        ),
        (
            "I am sorry for the delay. The carrier has lost your parcel. We send a new one today, free of charge, and "
            "it reaches you on Thursday.",
            "Your order was held back because one article is out of stock. Shall we send the rest now, or wait?",
        ),
    ),
    Enquiry(
        "How do I change the address of an order?",
        "You can change the address until the parcel is packed: open Orders, choose the order, then Edit address. "
        "Once it is packed we can only redirect it at the carrier.",
        (
            "You can change the address until the parcel is packed: open Orders, choose the order, then Delivery. "
            "Once it is packed we can only redirect it at the carrier.",
            "You can change the address until the parcel is packed: open Orders, choose the order, then Edit address. "
            "Once it is packed only the carrier can redirect it.",
        ),
        (
            "Your parcel is packed already, so we cannot change its address here. I have asked the carrier to redirect "
            "it and write to you when they answer.",
        ),
    ),
    Enquiry(
        "I was charged twice.",
        "One of the two lines is a reservation, which your bank releases within five working days. "
        "If it is still there next week, send us the statement and we refund it the same day.",
        (
            "One of the two lines is a reservation, which your bank releases within ten working days. "
            "If it is still there then, send us the statement and we refund it the same day.",
            "One of the two lines is a reservation, which your bank releases within five working days. "
            "If it is still there next week, send us the statement and we refund it at once.",
        ),
        (
            "You are right, and I am sorry: the second charge was our mistake. I have refunded it today; your bank "
            "shows it within three working days.",
        ),
    ),
    Enquiry(
        "The app signs me out every day.",
        "That happens when the system clears the app's storage. Please update to the latest version, "
        "then switch on Stay signed in under Settings, Security.",
        (
            "That happens when the system clears the app's storage. Please update to version 8.2, "
            "then switch on Stay signed in under Settings, Security.",
            "That happens when the system clears the app's storage. Please update to the latest version, "
            "then switch on Remember me under Settings, Account.",
        ),
        (
            "That is a fault in version 8.1, which we mended yesterday. Update the app, sign in once more, and it "
            "keeps you signed in.",
        ),
    ),
    Enquiry(
        "Can I return shoes that I have worn once?",
        "Yes, within 30 days, as long as they can be sold again. Print the label under Returns and "
        "bring the parcel to any drop-off point; the refund follows within a week.",
        (
            "Yes, within 14 days, as long as they can be sold again. Print the label under Returns and "
            "bring the parcel to any drop-off point; the refund follows within a week.",
            "Yes, within 30 days, as long as the soles are clean. Print the label under Returns and "
            "bring the parcel to any drop-off point; the refund follows within a week.",
        ),
        (
            "I am afraid not: shoes that were worn outside cannot be returned. If something is wrong with them, send "
            "us a photo and we find a way.",
        ),
    ),
    Enquiry(
        "Do you deliver to Réunion?",
        "We do. Delivery takes eight to twelve days and costs 14.90 €; customs are included in the price you see.",
        (
            "We do. Delivery takes ten to fourteen days and costs 14.90 €; customs are included in the price you see.",
            "We do. Delivery takes eight to twelve days and costs 19.90 €; customs are included in the price you see.",
        ),
        ("Not at the moment. We hope to deliver there again from March on, and gladly write to you when we do.",),
    ),
    Enquiry(
        "How can I cancel my subscription?",
        "Open Account, Subscription, Cancel. It stays active until the end of the period that you have paid for, "
        "and nothing is charged after that.",
        (
            "Open Account, Plans, Cancel. It stays active until the end of the period that you have paid for, "
            "and nothing is charged after that.",
            "Open Account, Subscription, Cancel. It stays active until the end of the month that you have paid for, "
            "and nothing is charged then.",
        ),
        (
            "I have cancelled it for you, as you asked by phone, and refunded the last payment. "
            "You get a confirmation by mail today.",
        ),
    ),
    Enquiry(
        "My discount code does not work.",
        "The code is valid for orders above 40 € and cannot be combined with sale items. "
        "If your basket fits, tell me the code and I will apply it for you.",
        (
            "The code is valid for orders above 60 € and cannot be combined with sale items. "
            "If your basket fits, tell me the code and I will apply it for you.",
            "The code is valid for orders above 40 € and cannot be combined with gift cards. "
            "If your basket fits, tell me the code and I will apply it.",
        ),
        ("That code ended on Sunday. Here is a new one for you: WELCOME10, valid until the end of the month.",),
    ),
)
"""Corrections are what people send in place of an answer, and are read on the page."""
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
    """The text as somebody changes it: a word or two, or (heavily) so much that less than two thirds are kept.

    Only its length and its distance are sent, and nobody reads it: corrections, which are read, are an `Enquiry`'s.
    """
    pieces = text.split(" ")
    if len(pieces) < 3:
        return f"{rng.choice(_WORDS)}_{rng.choice(_WORDS)}" if heavily else f"{text};"
    if not heavily:
        pieces[rng.randrange(len(pieces))] = rng.choice(_WORDS)
        return " ".join(pieces)
    kept = pieces[: max(1, len(pieces) * rng.randint(20, 45) // 100)]
    return " ".join([*kept, *rng.choices(_WORDS, k=rng.randint(2, 5))])
