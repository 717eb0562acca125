Console.WriteLine("MultiCluster");
