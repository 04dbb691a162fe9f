/** The extension in a browser (vscode.dev): there events outlive the editor in the browser's storage. */

const vscode = require("vscode");
const { Keeprate } = require("keeprate/server");
const { settingsOf, suggest } = require("./suggesting.js");

let client;

exports.activate = async (context) => {
  const settings = settingsOf(vscode);
  if (!settings) return;
  client = new Keeprate("my-extension", settings);
  await suggest(vscode, context, client);
};

exports.deactivate = () => client?.close(2_000);
