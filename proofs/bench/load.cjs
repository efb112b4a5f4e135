// A fixed rate of requests to mixed pages, by autocannon; prints its result as JSON.
// Each connection begins at another page, so that they do not all ask for the same one at the same moment.
const autocannon = require("autocannon");

const { url, paths, rate, seconds, connections } = JSON.parse(process.argv[2]);
const requests = paths.map((path) => ({ path }));
let next = 0;
autocannon(
  {
    url,
    connections,
    duration: seconds,
    overallRate: rate,
    timeout: 30,
    headers: { "accept-encoding": "gzip", "accept-language": "en" },
    requests,
    setupClient: (client) => {
      const first = Math.floor((next++ * requests.length) / connections);
      client.setRequests([...requests.slice(first), ...requests.slice(0, first)]);
    },
  },
  (error, result) => {
    if (error) throw error;
    console.log(JSON.stringify(result));
  },
);
