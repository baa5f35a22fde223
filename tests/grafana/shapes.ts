// What a dashboard's JSON must be, put together from Grafana's own types.
import type * as grafana from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen.d.ts";
import type * as stat from "@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts";
import type * as timeseries from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";

/** A type as JSON writes it: the value of an enum instead of its name. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}` ? N : never
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

/** What Prometheus is asked; its own type is in another package, with all of Grafana's page. */
interface Query extends grafana.DataQuery {
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
}

type Of<Type extends string, Options, Custom = Record<string, never>> = Omit<
  grafana.Panel, "type" | "options" | "fieldConfig" | "targets"
> & {
  type: Type;
  options: Options;
  fieldConfig: Omit<grafana.FieldConfigSource, "defaults"> & {
    defaults: Omit<grafana.FieldConfig, "custom"> & { custom?: Custom };
  };
  targets: Query[];
};

type Panel =
  | Of<"stat", stat.Options>
  | Of<"bargauge", bargauge.Options>
  | Of<"timeseries", timeseries.Options, timeseries.FieldConfig>;

export type Dashboard = Json<
  Omit<grafana.Dashboard, "panels"> & { panels: (Panel | (grafana.RowPanel & { type: "row" }))[] }
>;
