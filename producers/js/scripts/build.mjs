/** Build dist/: modules as ESM and as CommonJS, each with its types. */

import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
for (const project of ["tsconfig.build.json", "tsconfig.cjs.json"]) {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project], { stdio: "inherit" });
}
// The package's own files are ESM; those below are not.
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
