import "./style/base.css";
import "./style/layout.css";
import "./style/ticket.css";
import "./style/market.css";
import "./style/order.css";
import "./style/orders.css";
import "./style/open_orders.css";
import "./style/charts.css";
import "./style/picker.css";
import "./style/fills.css";

import { type JSX, render } from "preact";
import { Announcer, announceSteps } from "./announcer";
import { keepBalances } from "./balances";
import { ChartsPanel } from "./charts_panel";
import { Confirmation } from "./confirmation";
import { FillsPanel } from "./fills_panel";
import { DegradedNotice, Header, OfflineNotice } from "./header";
import { KeyDialog } from "./key_dialog";
import { followOrders } from "./listing";
import { MarketPanel } from "./market_panel";
import { followOpenOrders } from "./open_orders";
import { OpenOrdersPanel } from "./open_orders_panel";
import { OrderPanel } from "./order_panel";
import { OrdersPanel } from "./orders_panel";
import { keepQuoting } from "./quote_feed";
import { keepHistory } from "./quote_history";
import { look } from "./reachability";
import { followSelection } from "./selection";
import { keepTheme } from "./theme";
import { keepTicket } from "./ticket";
import { TicketPanel } from "./ticket_panel";
import { TokenPicker } from "./token_picker";
import { keepTokens } from "./tokens";
import { keepTrying } from "./trial";

function Page(): JSX.Element {
  return (
    <>
      <Header />
      <OfflineNotice />
      <DegradedNotice />
      <main>
        <TicketPanel />
        <MarketPanel />
        <OrderPanel />
        <div class="order-lists">
          <OpenOrdersPanel />
          <OrdersPanel />
        </div>
        <ChartsPanel />
        <FillsPanel />
      </main>
      <footer>
        <a href="assets/licences.txt">Licences of the libraries in this page</a>
      </footer>
      <Announcer />
      <TokenPicker />
      <Confirmation />
      <KeyDialog />
    </>
  );
}

keepTheme();
void look();
keepTokens();
keepTicket();
keepBalances();
keepTrying();
keepQuoting();
keepHistory();
followOrders();
followOpenOrders();
followSelection();
announceSteps();
const root = document.getElementById("page");
if (root) render(<Page />, root);
