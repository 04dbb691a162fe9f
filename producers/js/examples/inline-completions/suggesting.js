/** An inline-completion provider whose suggestions are followed: replace `complete` by your model. */

const { follow } = require("keeprate/editor");

/** Your model: the text that goes on after the prompt. */
async function complete(prompt) {
  return prompt.endsWith("return ") ? "a + b" : "";
}

/** Offer suggestions, and follow what is accepted. clock: of a test that turns days. */
exports.suggest = async (vscode, context, client, clock) => {
  const retention = await follow(vscode, context, client, clock);

  const provider = {
    async provideInlineCompletionItems(document, position) {
      const prompt = document.getText(new vscode.Range(new vscode.Position(0, 0), position));
      const text = await complete(prompt);
      if (!text) return [];
      const suggestion = client.generation({ model: "my-model", surface: "inline", language: document.languageId, output: text });
      suggestion.shown();
      const item = new vscode.InlineCompletionItem(text, new vscode.Range(position, position));
      // The stable API tells of an accept by this command alone.
      item.command = { title: "accepted", command: "my-extension.accepted", arguments: [suggestion, document, position, text] };
      return [item];
    },
  };
  const accepted = (suggestion, document, position, text) => {
    suggestion.accept(text);
    retention.accept(suggestion, document, document.offsetAt(position), text);
  };
  context.subscriptions.push(
    vscode.languages.registerInlineCompletionItemProvider({ pattern: "**" }, provider),
    vscode.commands.registerCommand("my-extension.accepted", accepted),
  );
  return retention;
};

/** The client's settings, where the user has agreed: the user's own choice, and content never leaves the editor here. */
exports.settingsOf = (vscode) => {
  const settings = vscode.workspace.getConfiguration("keeprate");
  if (!vscode.env.isTelemetryEnabled || !settings.get("url")) return null;
  return { url: settings.get("url"), key: settings.get("key"), content: "off" };
};
