using MultiCluster.Silo.Hosting;

namespace MultiCluster.Silo.Demo;

/// <summary>What the demo prints: where the API is, and five things to try.</summary>
internal static class DemoScreen
{
    public static string Text(Service service)
    {
        string address = service.Address.GetLeftPart(UriPartial.Authority);
        string data = service.DataDirectoryPath;
        return $"""

            MultiCluster demo: three simulated clusters (eu-1, us-1, edge-1), mirrored live.

              API       {address}      HTTP/JSON under /v1, gRPC multicluster.v1
              health    {service.OperationsAddress?.GetLeftPart(UriPartial.Authority) ?? "off"}       /healthz /readyz /metrics
              token     {service.Token.Value}
              data      {data}   (removed at the end)

            In another terminal, first:

              export MC={address}/v1 CA={data}/ca.crt TOKEN={service.Token.Value}
              mc() {"{"} curl -sS --cacert "$CA" -H "Authorization: Bearer $TOKEN" "$@"; echo; {"}"}

            1. The fleet: phase, version, nodes, pods of every cluster
              mc "$MC/clusters"
            2. Every Deployment named nginx that is not ready, everywhere (us-1 cannot pull its image)
              mc "$MC/resources/deployments?name=nginx&ready=false&projection=none"
            3. How many pods, by cluster and phase; try by=image or by=node too
              mc "$MC/count/pods?by=cluster,phase"
            4. Watch pods of all clusters live; then, in a third terminal, scale one with kubectl and see it arrive
              mc -N "$MC/resources/pods?watch=true&projection=none"
              kubectl --kubeconfig {data}/eu-1.kubeconfig -n shop scale deployment nginx --replicas=6
            5. What an answer covers while edge-1 fails (about 40 s from now): its state and age, and still its pods
              mc "$MC/resources/pods?cluster=edge-1&projection=none"

            Ctrl+C ends the demo. What happens to the clusters:

            """;
    }
}
