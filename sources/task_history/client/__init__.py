"""All that speaks HTTP to a vendor. The modules in the order in which a request meets them::

account_client   a client with the budget and the credentials of one account
credentials      headers that authenticate, with a token that is renewed; the secrets that are sent
client           sends requests, side by side, until each has its answer or its error
request_threads  the threads in which requests wait for answers, and how that ends when a run is interrupted
request_forms    another form of a request where a vendor does not know the first
pending_request  one request: path, query and body, its attempts, the errors that it may end with
rate_limit       slots of the budget, shared by all processes: rate_limit_rule, rate_limit_store and its two kinds,
                 rate_limit_file and rate_limit_postgres
transport        httpx over reqwest: proxy, trust (CAs), unpack (bodies within a bound), transport_errors
vendor_clock     how far the vendor's clock is ahead
responses        what an answer means, by the table in retry
retry            what each status means, and the pauses between attempts
retry_after      how long no process sends, with or without Retry-After, where the vendor throttles
logged_waits     how long requests wait and why: logged when a wait begins, counted for the run
rate_limit_usage     how much of the budget is used, without a client
urls             addresses: where a key may be sent
"""

import sys

# httpx imports its own command line with click, rich and pygments where they are installed: 35 ms at each start.
# It expects that this import fails, as it does where ``None`` stands for the module.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
