/** The API of VS Code's git extension, which runs in no browser, over a repository that a test commits to. */

const { EventEmitter, Uri } = require("vscode");

exports.activate = () => {
  const changed = new EventEmitter();
  const committed = new EventEmitter();
  const state = { HEAD: { name: "main" }, onDidChange: changed.event };
  const repository = { rootUri: Uri.parse("vscode-userdata:/work"), state, onDidCommit: committed.event };
  return {
    getAPI: () => ({ repositories: [repository], onDidOpenRepository: new EventEmitter().event }),
    happens(what, branch) {
      if (what === "commit") committed.fire();
      else state.HEAD = { name: branch };
      changed.fire();
    },
  };
};
