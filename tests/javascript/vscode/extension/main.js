/**
 * The example extension in a real VS Code, with a clock that is turned, and commands by which a test does what a user
 * would. What these commands return goes to the page that ran them.
 */

const vscode = require("vscode");
const { Keeprate } = require("keeprate/server");
const { suggest } = require("example/suggesting.js");

const { commands, languages, Position, Range, TextEdit, Uri, window, workspace, WorkspaceEdit } = vscode;
const decoder = new TextDecoder();

/** A wall clock that stands until it is turned. */
class Clock {
  alarms = [];
  nowMs = 0;

  now = () => this.nowMs;

  at = (ms, ring) => {
    const alarm = { ms, ring };
    this.alarms.push(alarm);
    return () => void (this.alarms = this.alarms.filter((each) => each !== alarm));
  };

  turn(seconds) {
    this.nowMs += seconds * 1000;
    const due = this.alarms.filter(({ ms }) => ms <= this.nowMs);
    this.alarms = this.alarms.filter((each) => !due.includes(each));
    for (const { ring } of due) ring();
    return due.length;
  }
}

async function until(isSo) {
  for (let tries = 0; !isSo(); tries++) {
    if (tries === 200) throw new Error(`never so: ${isSo}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

exports.activate = (context) => {
  const clock = new Clock();
  let client, retention;
  const uri = (path) => Uri.parse(`vscode-userdata:/work/${path}`);
  const editor = () => window.activeTextEditor;
  const text = () => editor().document.getText();

  async function begin(settings, nowMs) {
    clock.nowMs = nowMs;
    client = new Keeprate("my-extension", { ...settings, lingerMs: 5, retryMs: 20 });
    retention = await suggest(vscode, context, client, clock);
    languages.registerDocumentFormattingEditProvider({ pattern: "**" }, { provideDocumentFormattingEdits: indented });
    return String(Uri.joinPath(context.storageUri, "keeprate-retention.json"));
  }

  /** As formatters do: one edit for the whole document. */
  function indented(document) {
    const whole = new Range(new Position(0, 0), document.positionAt(document.getText().length));
    return [TextEdit.replace(whole, document.getText().replace(/^ {4}/gm, "  "))];
  }

  async function show(path) {
    await commands.executeCommand("vscode.open", uri(path));
    await until(() => editor()?.document.uri.path === uri(path).path);
    return text();
  }

  /** Nothing is left of a document that is closed, after a moment. */
  async function close() {
    const { document } = editor();
    await document.save();
    await commands.executeCommand("workbench.action.closeAllEditors");
    await until(() => document.isClosed);
  }

  /** Type at the end, wait for the suggestion, and take it with the editor's own command. */
  async function complete(typed) {
    const { document } = editor();
    const end = document.positionAt(text().length);
    editor().selection = new vscode.Selection(end, end);
    await commands.executeCommand("type", { text: typed });
    const before = text();
    for (let tries = 0; text() === before && tries < 50; tries++) {
      await commands.executeCommand("editor.action.inlineSuggest.trigger");
      await new Promise((wake) => setTimeout(wake, 100));
      await commands.executeCommand("editor.action.inlineSuggest.commit");
    }
    return text();
  }

  /** What stands where a text is found gives way to another. */
  async function replace(found, by) {
    const at = text().indexOf(found);
    if (at < 0) throw new Error(`no ${found} in ${text()}`);
    const { document } = editor();
    await editor().edit((edit) => edit.replace(new Range(document.positionAt(at), document.positionAt(at + found.length)), by));
    return text();
  }

  async function rename(from, to) {
    const edit = new WorkspaceEdit();
    edit.renameFile(uri(from), uri(to));
    return workspace.applyEdit(edit);
  }

  async function remove(path) {
    const edit = new WorkspaceEdit();
    edit.deleteFile(uri(path));
    return workspace.applyEdit(edit);
  }

  const all = {
    begin,
    show,
    complete,
    replace,
    rename,
    remove,
    text,
    /** Not through the editor: as another program would. */
    write: (path, content) => workspace.fs.writeFile(uri(path), new TextEncoder().encode(content)).then(() => content.length),
    read: async (path) => decoder.decode(await workspace.fs.readFile(uri(path))),
    run: async (command) => (await commands.executeCommand(command), text()),
    close,
    turn: (seconds) => clock.turn(seconds),
    git: (what, branch) => vscode.extensions.getExtension("vscode.git").exports.happens(what, branch),
    stats: () => client.stats(),
    /** All is written down, and sent. */
    settle: async () => (await retention.saved(), client.flush(10_000)),
    followed: async () => JSON.parse(decoder.decode(await workspace.fs.readFile(Uri.joinPath(context.storageUri, "keeprate-retention.json")))),
  };
  for (const [name, does] of Object.entries(all)) context.subscriptions.push(commands.registerCommand(`test.${name}`, does));
};
