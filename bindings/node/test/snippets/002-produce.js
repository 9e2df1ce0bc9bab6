const { Client } = require("plasmite");
const c = new Client();
let pool;
try {
  pool = c.pool("work");
  const msg = pool.append({ task: "resize", id: 1 });
  console.log(msg.seq, msg.tags, msg.data);
} finally {
  if (pool) pool.close();
  c.close();
}
