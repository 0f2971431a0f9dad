// Every npm script starts here: `node scripts/run.mjs <script.ts | tool> [arguments]`. Plain JavaScript for any Node
// from 12 on, so that a Node too old for the rest is told so in a sentence and not by a stack of syntax errors.
// oxlint-disable-next-line no-var
var major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(
    'Holdfast needs Node 20 or newer to start; this is Node ' +
      process.versions.node +
      '. Install a newer one from nodejs.org.',
  );
  process.exitCode = 1;
} else {
  import('./bootstrap.mjs').then(
    function (bootstrap) {
      return bootstrap.main(process.argv.slice(2));
    },
    function (error) {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
