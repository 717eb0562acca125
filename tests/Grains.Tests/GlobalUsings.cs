global using FleetClock = MultiCluster.Fleet.FleetClock;
global using Orleans;
