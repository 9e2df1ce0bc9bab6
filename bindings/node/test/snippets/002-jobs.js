const { Client } = require("plasmite");
const c = new Client();
let pool;
try {
  pool = c.pool("jobs");
  for (let i = 0; i < 5; i++)
    console.log(pool.append({ task: "resize-image", id: i }, ["img"]).seq);
} finally {
  if (pool) pool.close();
  c.close();
}
