/** An inline-completion provider whose suggestions are followed: replace `complete` by your model. */

const { join } = require("node:path");
const vscode = require("vscode");
const { follow } = require("keeprate/editor");
const { Keeprate } = require("keeprate/node");

let client;

/** Your model: the text that goes on after the prompt. */
async function complete(prompt) {
  return prompt.endsWith("return ") ? "a + b" : "";
}

exports.activate = async (context) => {
  const settings = vscode.workspace.getConfiguration("keeprate");
  // The user's own choice; content never leaves the editor here.
  if (!vscode.env.isTelemetryEnabled || !settings.get("url")) return;
  const directory = join(context.globalStorageUri.fsPath, "spool");
  client = new Keeprate("my-extension", { url: settings.get("url"), key: settings.get("key"), directory, content: "off" });
  const retention = await follow(vscode, context, client);

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
};

exports.deactivate = () => client?.close(2_000);
