const { Client } = require("plasmite");
const c = new Client();
let pool;
try {
  pool = c.pool("build");
  for (const [step, pct] of [["compile",0],["compile",100],["test",0],["test",100]])
    pool.append({ step, pct });
  pool.append({ step: "finished", ok: true }, ["done"]);
} finally {
  if (pool) pool.close();
  c.close();
}
