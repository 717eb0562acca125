global using FleetClock = MultiCluster.Fleet.FleetClock;
