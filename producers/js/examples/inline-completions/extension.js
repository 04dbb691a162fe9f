/** The extension on a desktop: events that were not sent outlive the editor in files. */

const { join } = require("node:path");
const vscode = require("vscode");
const { Keeprate } = require("keeprate/node");
const { settingsOf, suggest } = require("./suggesting.js");

let client;

exports.activate = async (context) => {
  const settings = settingsOf(vscode);
  if (!settings) return;
  client = new Keeprate("my-extension", { ...settings, directory: join(context.globalStorageUri.fsPath, "spool") });
  await suggest(vscode, context, client);
};

exports.deactivate = () => client?.close(2_000);
