// Node.js
const { execSync } = require('child_process');
execSync(`plasmite poke foo --create '${JSON.stringify({from: "node"})}'`);
