using System.Security.Cryptography.X509Certificates;
using System.Text;
using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>What a client certificate says, under the property names that gRPC has for it.</summary>
internal static class PeerIdentity
{
    private const string CommonName = "x509_common_name";
    private const string AlternativeName = "x509_subject_alternative_name";

    private static readonly AuthContext Nobody = new(null, []);

    public static AuthContext Of(X509Certificate2? certificate)
    {
        if (certificate is null)
        {
            return Nobody;
        }

        var properties = new Dictionary<string, List<AuthProperty>>(StringComparer.Ordinal);
        foreach (X509SubjectAlternativeNameExtension names in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            Add(AlternativeName, names.EnumerateDnsNames());
        }

        if (certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is { Length: > 0 } name)
        {
            Add(CommonName, [name]);
        }

        string? identity = properties.ContainsKey(AlternativeName) ? AlternativeName : properties.ContainsKey(CommonName) ? CommonName : null;
        return new AuthContext(identity, properties);

        void Add(string property, IEnumerable<string> values)
        {
            List<AuthProperty> known = [.. values.Select(value => AuthProperty.Create(property, Encoding.UTF8.GetBytes(value)))];
            if (known.Count > 0)
            {
                properties[property] = known;
            }
        }
    }
}
