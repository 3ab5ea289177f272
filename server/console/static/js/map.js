// The live map: land, graticule, stops by state, routes, reps. Without Leaflet the list beside it stays.
const ground = document.getElementById("map");
const words = JSON.parse(document.getElementById("map-words").textContent);
const said = document.getElementById("map-said");
const EVERY = 2000;
const STATES = ["open", "read", "held", "skipped"];

if (ground && window.L) start();
else setInterval(ages, 1000);

function start() {
  const L = window.L;
  ground.replaceChildren();
  const map = L.map(ground, { preferCanvas: true, attributionControl: false, zoomSnap: 0.5, worldCopyJump: true, minZoom: 2, maxZoom: 19 });
  map.setView([31.2, 121.5], 4);
  L.control.scale({ imperial: false }).addTo(map);
  const below = map.createPane("below");
  below.style.zIndex = 350;
  const base = L.canvas({ pane: "below" });
  const canvas = L.canvas({ padding: 0.3 });
  const above = L.canvas({ pane: map.createPane("reps") });
  map.getPane("reps").style.zIndex = 450;

  let colours = palette();
  let land;
  const grid = L.layerGroup().addTo(map);
  const stops = new Map();
  const lines = [];
  const reps = new Map();

  const Stop = L.CircleMarker.extend({
    // A state is a shape as well as a colour: ring, disc, triangle, cross.
    _updatePath() {
      if (!this._renderer._drawing || this._empty()) return;
      const ctx = this._renderer._ctx;
      const { x, y } = this._point;
      const r = this._radius;
      ctx.beginPath();
      if (this.options.state === 2) {
        ctx.moveTo(x, y - r - 2); ctx.lineTo(x + r + 1.5, y + r); ctx.lineTo(x - r - 1.5, y + r); ctx.closePath();
      } else if (this.options.state === 3) {
        ctx.moveTo(x - r + 1, y - r + 1); ctx.lineTo(x + r - 1, y + r - 1); ctx.moveTo(x + r - 1, y - r + 1); ctx.lineTo(x - r + 1, y + r - 1);
      } else ctx.arc(x, y, r, 0, Math.PI * 2);
      this._renderer._fillStroke(ctx, this);
    },
  });
  const Rep = L.CircleMarker.extend({
    _updatePath() {
      if (!this._renderer._drawing || this._empty()) return;
      const ctx = this._renderer._ctx;
      const { x, y } = this._point;
      const turn = ((this.options.course ?? 0) * Math.PI) / 180;
      ctx.save();
      ctx.translate(x, y);
      ctx.beginPath();
      if (this.options.course == null) ctx.arc(0, 0, 8, 0, Math.PI * 2);
      else {
        ctx.rotate(turn);
        ctx.moveTo(0, -12); ctx.lineTo(8, 9); ctx.lineTo(0, 5); ctx.lineTo(-8, 9); ctx.closePath();
      }
      ctx.restore();
      this._renderer._fillStroke(ctx, this);
    },
  });

  fetch(ground.dataset.land).then((answer) => (answer.ok ? answer.json() : null)).then((shape) => {
    if (!shape) return;
    land = L.geoJSON(shape, { pane: "below", renderer: base, interactive: false });
    zoomed();
  }).catch(() => {});

  // The outline of the land is too coarse for streets: it goes when the map comes near.
  function zoomed() {
    if (land) {
      land.setStyle({ fillColor: colours.land, fillOpacity: 1, color: colours.line, weight: 1 });
      if (map.getZoom() < 9) land.addTo(map).bringToBack();
      else land.remove();
    }
    graticule();
    const size = map.getZoom() >= 15 ? 6 : map.getZoom() >= 12 ? 4.5 : 3;
    for (const stop of stops.values()) stop.setRadius(size);
  }

  function graticule() {
    grid.clearLayers();
    const steps = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
    const bounds = map.getBounds();
    const wide = bounds.getEast() - bounds.getWest();
    const step = steps.find((s) => wide / s >= 4) ?? 0.001;
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    const style = { pane: "below", renderer: base, interactive: false, color: colours.line, weight: 1, opacity: 0.8 };
    for (let lon = Math.ceil(bounds.getWest() / step) * step; lon < bounds.getEast(); lon += step) {
      L.polyline([[Math.max(bounds.getSouth(), -85), lon], [Math.min(bounds.getNorth(), 85), lon]], style).addTo(grid);
      degree([bounds.getNorth(), lon], lon.toFixed(digits) + "°", [-3, -1]);
    }
    for (let lat = Math.ceil(Math.max(bounds.getSouth(), -85) / step) * step; lat < Math.min(bounds.getNorth(), 85); lat += step) {
      L.polyline([[lat, bounds.getWest()], [lat, bounds.getEast()]], style).addTo(grid);
      if (map.latLngToContainerPoint([lat, bounds.getEast()]).y > 30) degree([lat, bounds.getEast()], lat.toFixed(digits) + "°", [58, 14]);
    }
  }
  function degree(place, text, anchor) {
    L.marker(place, { icon: L.divIcon({ className: "degree", html: text, iconAnchor: anchor, iconSize: null }), interactive: false, keyboard: false }).addTo(grid);
  }

  function look(state) {
    const colour = [colours.open, colours.read, colours.held, colours.skipped][state];
    if (state === 0) return { state, color: colour, weight: 1.6, fill: true, fillColor: colours.surface, fillOpacity: 1, opacity: 1 };
    if (state === 3) return { state, color: colour, weight: 2.4, fill: false, opacity: 1 };
    return { state, color: colours.surface, weight: 1, fill: true, fillColor: colour, fillOpacity: 1, opacity: 1 };
  }

  async function load(fit) {
    const answer = await fetch(ground.dataset.data);
    if (!answer.ok) return;
    const body = await answer.json();
    for (const line of lines.splice(0)) line.remove();
    for (const stop of stops.values()) stop.remove();
    stops.clear();
    for (const route of body.routes) {
      const line = L.polyline(route.stops.map((stop) => [stop[1], stop[2]]), { renderer: canvas, color: colours.rep, weight: 1.5, opacity: 0.35, interactive: false });
      lines.push(line.addTo(map));
    }
    for (const route of body.routes) for (const [id, lat, lon, state, sequence, number, address, account] of route.stops) {
      const stop = new Stop([lat, lon], { renderer: canvas, radius: 4, ...look(state) });
      stop.about = { route: route.name, sequence, number, address, account };
      stops.set(id, stop.bindPopup(() => popup(stop)).addTo(map));
    }
    if (body.left_off) said.textContent = words.more;
    if (fit) fitAll();
    zoomed();
  }

  function popup(stop) {
    const box = document.createElement("div");
    const link = document.createElement("a");
    link.href = ground.dataset.account.replace(/0$/, stop.about.account);
    link.textContent = stop.about.number;
    box.append(link, ` · ${words.states[stop.options.state]}`, document.createElement("br"), stop.about.address ?? "", document.createElement("br"), `${stop.about.route} · ${stop.about.sequence}`);
    return box;
  }

  function fitAll() {
    const places = [...stops.values(), ...reps.values()].map((layer) => layer.getLatLng());
    const at = asked();
    if (at) {
      new L.CircleMarker(at, { radius: 12, weight: 3, color: colours.rep, fill: false, interactive: false }).addTo(map);
      map.setView(at, 17, { animate: false });
    } else if (places.length) map.fitBounds(L.latLngBounds(places), { padding: [30, 30], maxZoom: 17, animate: false });
  }

  function place(rep) {
    if (rep.lat == null) return;
    const known = reps.get(rep.id);
    if (known) {
      known.options.course = rep.course;
      known.setLatLng([rep.lat, rep.lon]);
      return;
    }
    const mark = new Rep([rep.lat, rep.lon], { renderer: above, pane: "reps", radius: 12, course: rep.course, color: colours.surface, weight: 2, fill: true, fillColor: colours.rep, fillOpacity: 1 });
    mark.bindTooltip(rep.name, { permanent: reps.size < 60, direction: "right", offset: [10, 0], className: "rep-name" });
    mark.on("click", () => choose(rep.id));
    reps.set(rep.id, mark.addTo(map));
  }

  function choose(id) {
    for (const row of document.querySelectorAll("[data-rep]")) row.classList.toggle("chosen", row.dataset.rep === String(id));
    document.querySelector(`[data-rep="${id}"]`)?.scrollIntoView({ block: "nearest" });
    const mark = reps.get(Number(id));
    if (mark) map.setView(mark.getLatLng(), Math.max(map.getZoom(), 15));
  }

  // A place in the address, for instance of an item of the review queue.
  function asked() {
    const place = (new URLSearchParams(location.search).get("at") ?? "").split(",").map(Number);
    return place.length === 2 && place.every(Number.isFinite) && Math.abs(place[0]) <= 90 ? place : null;
  }

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    return { land: value("--map-land"), line: value("--map-line"), surface: value("--surface"), open: value("--mark-open"), read: value("--mark-read"), held: value("--mark-held"), skipped: value("--mark-skipped"), rep: value("--mark-rep") };
  }

  const mark = { rev: Number(ground.dataset.rev), reading: Number(ground.dataset.reading), skip: Number(ground.dataset.skip), decision: Number(ground.dataset.decision) };
  let heard = Date.now();
  async function poll() {
    if (document.visibilityState === "visible") {
      try {
        const query = new URLSearchParams({ after: mark.rev, reading: mark.reading, skip: mark.skip, decision: mark.decision });
        const answer = await fetch(`${ground.dataset.live}?${query}`, { headers: { Accept: "application/json" } });
        if (answer.redirected || answer.status === 401) return location.reload();
        const body = await answer.json();
        Object.assign(mark, { rev: body.rev, reading: body.reading, skip: body.skip, decision: body.decision });
        for (const rep of body.reps) { place(rep); list(rep); }
        for (const [id, state] of body.stops) stops.get(id)?.setStyle(look(state));
        heard = Date.now();
        ground.dataset.polled = String(Number(ground.dataset.polled ?? 0) + 1);
        if (said.dataset.lost) { said.textContent = ""; delete said.dataset.lost; }
      } catch {
        said.dataset.lost = "yes";
        said.textContent = words.lost.replace("{age}", age(heard));
      }
    }
    setTimeout(poll, EVERY);
  }

  for (const row of document.querySelectorAll("[data-rep]")) {
    if (row.dataset.lat) place({ id: Number(row.dataset.rep), name: row.dataset.name, lat: Number(row.dataset.lat), lon: Number(row.dataset.lon) });
    row.querySelector("[data-go]").addEventListener("click", () => choose(row.dataset.rep));
  }
  map.on("moveend", graticule).on("zoomend", zoomed);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours = palette(); load(false); });
  load(true).finally(() => { ground.dataset.ready = "yes"; poll(); });
  setInterval(ages, 1000);
  setInterval(() => { if (document.visibilityState === "visible") load(false); }, 120000);
  ground.fieldbell = { reps, stops };
}

function list(rep) {
  const row = document.querySelector(`[data-rep="${rep.id}"]`);
  if (!row) return;
  row.dataset.fix = rep.fix ?? "";
  row.dataset.contact = rep.contact ?? "";
  row.querySelector("[data-done]").textContent = `${rep.done} / ${rep.planned}`;
  row.querySelector("[data-battery]").textContent = rep.battery == null ? words.none : `${rep.battery} %`;
  ages();
}

function age(since) {
  const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
  if (seconds < 60) return words.s.replace("{n}", seconds);
  if (seconds < 3600) return words.min.replace("{n}", Math.floor(seconds / 60));
  return words.h.replace("{n}", Math.floor(seconds / 3600));
}

function ages() {
  for (const row of document.querySelectorAll("[data-rep]")) {
    for (const cell of row.querySelectorAll("[data-age]")) {
      const since = row.dataset[cell.dataset.age];
      cell.textContent = since ? age(Number(since)) : words.none;
    }
  }
}
