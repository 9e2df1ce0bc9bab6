const { Client } = require("plasmite");
const c = new Client();
let pool;
try {
  pool = c.pool("events");
  pool.append({ service: "api", sha: "f4e5d6c" }, ["deploy"]);
  pool.append({ service: "api", msg: "latency spike" }, ["alert"]);
} finally {
  if (pool) pool.close();
  c.close();
}
