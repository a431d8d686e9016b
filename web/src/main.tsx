import "./style/base.css";
import "./style/layout.css";
import "./style/ticket.css";
import "./style/market.css";
import "./style/order.css";
import "./style/orders.css";
import "./style/charts.css";
import "uplot/dist/uPlot.min.css";

import { type JSX, render } from "preact";
import { Announcer, announceSteps } from "./announcer";
import { ChartsPanel } from "./charts_panel";
import { Header, OfflineNotice } from "./header";
import { KeyDialog } from "./key_dialog";
import { followOrders } from "./listing";
import { MarketPanel } from "./market_panel";
import { OrderPanel } from "./order_panel";
import { OrdersPanel } from "./orders_panel";
import { keepQuoting } from "./quote_feed";
import { keepHistory } from "./quote_history";
import { look } from "./reachability";
import { followSelection } from "./selection";
import { keepTheme } from "./theme";
import { TicketPanel } from "./ticket_panel";
import { keepTokens } from "./tokens";

function Page(): JSX.Element {
  return (
    <>
      <Header />
      <OfflineNotice />
      <main>
        <TicketPanel />
        <MarketPanel />
        <OrderPanel />
        <OrdersPanel />
        <ChartsPanel />
      </main>
      <footer>
        <a href="assets/licences.txt">Licences of the libraries in this page</a>
      </footer>
      <Announcer />
      <KeyDialog />
    </>
  );
}

keepTheme();
void look();
keepTokens();
keepQuoting();
keepHistory();
followOrders();
followSelection();
announceSteps();
const root = document.getElementById("page");
if (root) render(<Page />, root);
