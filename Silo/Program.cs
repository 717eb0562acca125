using MultiCluster.Silo.CommandLine;

return await ServiceCommand.Create().Parse(args).InvokeAsync();
